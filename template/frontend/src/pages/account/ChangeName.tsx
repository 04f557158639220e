import { useNavigate } from 'react-router'
import { useAccount, useChangeName } from '../../api/account'
import { Field } from '../../components/Field'
import { Form } from '../../components/Form'
import { Page } from '../../components/Page'
import { Cancel } from './Cancel'

export function ChangeName() {
  const { data: user, error } = useAccount()
  const change = useChangeName()
  const navigate = useNavigate()

  function handleChange(name: string) {
    const state = { done: 'Your name is changed.' }
    change.mutate({ name }, { onSuccess: () => void navigate('/account', { state }) })
  }

  return (
    <Page title="Change your name">
      {user && (
        <Form
          action="Save"
          isPending={change.isPending}
          error={change.error?.message}
          onSubmit={({ name }) => handleChange(name)}
        >
          <Field
            label="Name"
            name="name"
            autoComplete="name"
            defaultValue={user.name}
            minLength={2}
            maxLength={100}
            required
          />
        </Form>
      )}
      {error && (
        <p className="problems" role="alert">
          {error.message}
        </p>
      )}
      <Cancel />
    </Page>
  )
}
